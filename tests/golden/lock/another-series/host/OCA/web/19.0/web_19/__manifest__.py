{'name': 'web_19'}
