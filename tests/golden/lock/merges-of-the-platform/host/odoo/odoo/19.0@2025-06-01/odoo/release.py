version_info = (19, 0, 0, 'final', 0, '')
