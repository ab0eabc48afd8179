"""The sign-in forms. Fields are named `username`, `password` and `code`; scripts and password managers know them."""

from wtforms import HiddenField, PasswordField, StringField

from control.web.forms import Form


class SignInForm(Form):
    """What somebody types to sign in, and where to go then."""

    username = StringField()
    password = PasswordField()
    next = HiddenField()


class CodeForm(Form):
    """A code of an authenticator app or a recovery code, and where to go then."""

    code = StringField()
    next = HiddenField()
