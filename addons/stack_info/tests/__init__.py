from . import test_stack_info
