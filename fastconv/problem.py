"""STUB"""
from dataclasses import dataclass
@dataclass(frozen=True)
class Problem:
    op: str
    n: int; c: int; h: int; w: int
    k: int; r: int; s: int
    stride: tuple = (1,1)
    padding: tuple = ((0,0),(0,0))
    dilation: tuple = (1,1)
    groups: int = 1
    padding_mode: str = "zeros"
    layout: str = "channels_first"
    dtype: str = "float32"
    bias: bool = False
    residual: bool = False
    activation: str|None = None
    slope: float = 0.0
    precision: str = "default"
    pass_: str = "forward"
    @property
    def oh(self): return (self.h+sum(self.padding[0])-(self.r-1)*self.dilation[0]-1)//self.stride[0]+1
    @property
    def ow(self): return (self.w+sum(self.padding[1])-(self.s-1)*self.dilation[1]-1)//self.stride[1]+1
    @property
    def flops(self): return 2*self.n*self.k*self.oh*self.ow*self.c//self.groups*self.r*self.s
