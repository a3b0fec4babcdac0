"""What all tests share: times are shown in UTC unless a test says otherwise."""

import os
import time

os.environ["TZ"] = "UTC"
time.tzset()
