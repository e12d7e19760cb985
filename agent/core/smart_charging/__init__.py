"""From charging profiles and station-wide limits to what each EVSE may draw."""
