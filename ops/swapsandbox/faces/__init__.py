"""A real face swap on the CPU: three small networks find the faces, plain geometry and colour matching do the rest."""

from swapsandbox.faces.api import UNTOUCHED, swap_arrays, swap_faces, warm_up
from swapsandbox.faces.errors import FaceError, FaceErrorName

__all__ = ["UNTOUCHED", "FaceError", "FaceErrorName", "swap_arrays", "swap_faces", "warm_up"]
