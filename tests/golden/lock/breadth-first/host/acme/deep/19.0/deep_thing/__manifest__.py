{'name': 'deep_thing'}
