{'name': 'web_18'}
