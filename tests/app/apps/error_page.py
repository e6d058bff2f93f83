"""Its page is an error; each request is logged."""

from typing import ClassVar

import serving


class Broken(serving.Page):
    replies: ClassVar = {"/": (500, "Internal Server Error")}

    def log_message(self, *args):
        print("TypeError: unhashable type: 'dict'")


serving.server(page=Broken).serve_forever()
