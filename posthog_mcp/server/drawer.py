"""The program that draws one chart: Vega-Lite from standard input, a PNG to standard output.

Exit code 3, and the reason on standard error, where the renderer cannot be loaded.
"""

import io
import sys

NO_RENDERER = 3
_COLOURS = 128
"""Of a picture: edges need some, and a palette makes it a third of the size."""


def main() -> int:
    """Draw it; returns the exit code."""
    try:
        import vl_convert  # noqa: PLC0415 - of the extra
        from PIL import Image  # noqa: PLC0415 - of the extra
    except ImportError as error:
        sys.stderr.write(str(error))
        return NO_RENDERER
    specification = sys.stdin.buffer.read().decode()
    drawn = vl_convert.vegalite_to_png(specification, allowed_base_urls=[])
    small = io.BytesIO()
    picture = Image.open(io.BytesIO(drawn)).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    picture.save(small, "PNG", optimize=True)
    sys.stdout.buffer.write(small.getvalue())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
