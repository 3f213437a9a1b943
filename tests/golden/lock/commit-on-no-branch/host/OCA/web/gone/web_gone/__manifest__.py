{'name': 'web_gone'}
