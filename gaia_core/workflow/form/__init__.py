"""The form of what users write: fields, types, names, paths and numbers. `parse` puts the parts together."""
