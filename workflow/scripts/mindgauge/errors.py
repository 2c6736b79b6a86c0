"""The one exception a user is meant to read."""


class UserError(Exception):
    """Something the user can put right: what is wrong, where, and what to write instead.

    Its text never holds the words of a record.
    """

    def __init__(self, what: str, *, where: str = "", instead: str = "") -> None:
        self.what, self.where, self.instead = what, where, instead
        super().__init__(self.message())

    def message(self) -> str:
        """The three parts as the lines a user sees."""
        lines = [f"mindgauge: {self.what}"]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.instead:
            lines.append(f"  instead: {self.instead}")
        return "\n".join(lines)
