"""
A script that a worker runs as a module.
"""

from webworker_executor import scope

try:
    scope.import_scripts("tasks.py")
except TypeError as error:
    scope.post_message(["TypeError", "module=" if "module=" in str(error) else str(error)])
