"""Web chat: the browser socket, its REST fallback, attachments, the hosted page and the widget."""
