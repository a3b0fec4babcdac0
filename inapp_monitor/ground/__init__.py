"""The ground floor: values and rules that every room uses. It knows no room above it."""
