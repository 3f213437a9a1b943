{'name': 'next_thing'}
