{'name': 'new_thing'}
