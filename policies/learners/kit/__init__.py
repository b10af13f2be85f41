"""What the pages of the learners share."""
