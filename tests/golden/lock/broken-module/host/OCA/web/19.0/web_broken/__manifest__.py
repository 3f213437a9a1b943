{'name': 'Web broken',
