"""What is mounted at /_metrics: pages, charts and the render API. Loaded on the first visit."""
