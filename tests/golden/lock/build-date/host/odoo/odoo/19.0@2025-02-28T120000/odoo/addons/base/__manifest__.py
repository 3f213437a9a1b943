{'name': 'Base'}
