{'name': 'sale_thing'}
