{'name': 'old_thing'}
