{'name': 'x', 'version': '1.1'}
