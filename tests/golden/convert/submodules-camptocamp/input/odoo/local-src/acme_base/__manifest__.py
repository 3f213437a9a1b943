{'name': 'Acme', 'version': '14.0.1.0.0'}
