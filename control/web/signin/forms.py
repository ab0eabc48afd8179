"""The sign-in form. Its fields are named `username` and `password`; scripts and password managers know them."""

from wtforms import HiddenField, PasswordField, StringField

from control.web.forms import Form


class SignInForm(Form):
    """What somebody types to sign in, and where to go then."""

    username = StringField()
    password = PasswordField()
    next = HiddenField()
