"""Ways to reach people and systems, made from a URL.

smtp://, smtps://                          e-mail                              mail.py
http://, https://                          a webhook of ours                   webhook.py
alertmanager+http://, alertmanager+https:// what Alertmanager posts to receivers  webhook.py
kafka:TOPIC                                a topic                             kafka.py
any other                                  what Apprise knows                  via_apprise.py
"""

from __future__ import annotations

from streams.notify.channels.contract import Sender, SendError
from streams.notify.channels.making import LazySender, make_sender

__all__ = ["LazySender", "SendError", "Sender", "make_sender"]
