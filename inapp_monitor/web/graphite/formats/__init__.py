"""Series as bytes, one writer for each `format` of the render API."""
