"""A script whose children do what their parent does."""


def forks(check, before="pass", times=3):
    """Source that runs `before`, then forks: each child runs `check` twice, and the parent after it."""
    return f"""
import warnings; warnings.simplefilter("ignore")
{before}
for _ in range({times}):
    pid = os.fork()
    if pid == 0:
        try:
            {check}; {check}
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    {check}
"""
