"""What must stand beside every figure and every model that leaves."""

LIMITS = """A screening aid, not a diagnosis: its labels are impressions from text and are to be read by a trained person, who decides.
It misses cases: the table says how many of those with a risk it found, and on which rows. Do not use it to punish, rank or exclude anyone.
In a crisis do not wait for any score. Mainland China: psychological aid 12356, police 110, ambulance 120; a site sets its own numbers."""
