"""Array types with named axes: the shapes of latentlab in one place.

Axes, always in this order: `batch channel frame height width`.

- `Video`: float32 in [-1, 1], RGB.
- `Latents`: what the autoencoder makes of a video, about unit variance.
- `Noise`: same shape as the latents, unit variance; what `invert` returns and `sample` takes.
- `Codes`: one row a sample, one column a dimension.
- `Factors`: one row a sample, one column a factor.
"""

from jaxtyping import Float
from torch import Tensor

Video = Float[Tensor, "batch 3 frame height width"]
Latents = Float[Tensor, "batch channel frame height width"]
Noise = Float[Tensor, "batch channel frame height width"]
Codes = Float[Tensor, "sample dim"]
Factors = Float[Tensor, "sample factor"]
