{'name': 'mail_thing'}
