{'name': 'queue_job'}
