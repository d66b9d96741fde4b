"""What the paper prints: tables and figures from the accuracies of students (section 5)."""
