"""What a call costs besides arithmetic, and what starting costs."""

import os
import subprocess
import sys
import tempfile

import numpy as np

import fastconv as fc

FIRST_CALL = "import numpy as np, fastconv as fc; fc.conv2d(np.ones((1, 8, 20, 20), 'f'), np.ones((8, 8, 3, 3), 'f'))"


class Call:
    """A convolution of one product."""

    version = "1"

    def setup(self):
        self.x, self.w = np.ones((1, 1, 1, 1), np.float32), np.ones((1, 1, 1, 1), np.float32)
        self.layer, self.out = fc.Conv2d(self.w), np.empty_like(self.x)
        self.layer(self.x)
        fc.conv2d(self.x, self.w)

    def time_conv2d(self):
        fc.conv2d(self.x, self.w)

    def time_layer(self):
        self.layer(self.x)

    def time_layer_out(self):
        self.layer(self.x, out=self.out)


class Start:
    """A process from its start to the end of one statement."""

    version = "1"
    number = 1
    timeout = 120
    param_names = ("statement",)
    params = (["import numpy", "import fastconv", FIRST_CALL],)

    def setup(self, statement):
        self.folder = tempfile.TemporaryDirectory()
        self.run(statement, self.folder.name)

    def teardown(self, statement):
        self.folder.cleanup()

    def run(self, statement, cache):
        """Run the statement in a new process with this cache of kernels."""
        env = {**os.environ, "FASTCONV_CACHE_DIR": cache}
        subprocess.run([sys.executable, "-c", statement], check=True, env=env)

    def time_warm(self, statement):
        self.run(statement, self.folder.name)

    def time_cold(self, statement):
        with tempfile.TemporaryDirectory() as empty:
            self.run(statement, empty)
