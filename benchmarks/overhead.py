"""What a call costs besides arithmetic, and what starting costs."""

import os
import subprocess
import sys
import tempfile

import numpy as np

import fastconv as fc

CALLS = 1000
FIRST_CALL = "import numpy as np, fastconv as fc; fc.conv2d(np.ones((1, 8, 20, 20), 'f'), np.ones((8, 8, 3, 3), 'f'))"


class Call:
    """A thousand convolutions of one product."""

    version = "1"
    rounds, repeat = 1, (5, 50, 0.5)

    def setup(self):
        self.x, self.w = np.ones((1, 1, 1, 1), np.float32), np.ones((1, 1, 1, 1), np.float32)
        self.layer, self.out = fc.Conv2d(self.w), np.empty_like(self.x)
        self.layer(self.x)
        fc.conv2d(self.x, self.w)

    def time_conv2d(self):
        for _ in range(CALLS):
            fc.conv2d(self.x, self.w)

    def time_layer(self):
        for _ in range(CALLS):
            self.layer(self.x)

    def time_layer_out(self):
        for _ in range(CALLS):
            self.layer(self.x, out=self.out)


class Import:
    """Imports in a new process that has done nothing before; fastconv's lies on top of numpy's."""

    version = "1"
    rounds, repeat = 1, (3, 8, 4.0)

    def timeraw_numpy(self):
        return "import numpy"

    def timeraw_fastconv(self):
        return "import fastconv", "import numpy"


class FirstCall:
    """A process from its start to the end of its first convolution."""

    version = "1"
    rounds, repeat, number, warmup_time, timeout = 1, (3, 5, 12.0), 1, 0, 120

    def setup(self):
        self.folder = tempfile.TemporaryDirectory()
        self.run(self.folder.name)

    def teardown(self):
        self.folder.cleanup()

    def run(self, cache):
        """The first call in a new process with this cache of kernels."""
        env = {**os.environ, "FASTCONV_CACHE_DIR": cache}
        subprocess.run([sys.executable, "-c", FIRST_CALL], check=True, env=env)

    def time_warm(self):
        self.run(self.folder.name)

    def time_cold(self):
        with tempfile.TemporaryDirectory() as empty:
            self.run(empty)
