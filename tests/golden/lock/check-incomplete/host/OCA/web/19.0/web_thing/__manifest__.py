{'name': 'web_thing'}
