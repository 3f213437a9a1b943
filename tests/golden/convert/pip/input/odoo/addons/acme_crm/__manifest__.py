{'name': 'CRM', 'version': '16.0.1.0.0'}
