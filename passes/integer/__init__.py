"""From stage 'imported' to 'integer': scales and zero points become proved integer constants."""
