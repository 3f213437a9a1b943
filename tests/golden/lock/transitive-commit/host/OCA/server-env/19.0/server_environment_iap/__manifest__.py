{'name': 'server_environment_iap'}
