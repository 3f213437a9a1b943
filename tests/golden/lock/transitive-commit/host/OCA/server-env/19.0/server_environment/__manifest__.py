{'name': 'server_environment'}
