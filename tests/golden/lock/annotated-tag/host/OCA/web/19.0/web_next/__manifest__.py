{'name': 'web_next'}
