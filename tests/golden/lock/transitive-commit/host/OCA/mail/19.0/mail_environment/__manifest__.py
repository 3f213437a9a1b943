{'name': 'mail_environment'}
