package doctor

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"syscall"

	"postern/internal/smtp"
)

func (e *exam) mail(ctx context.Context) {
	switch {
	case e.RelayError != nil:
		e.add(Fail, "The mail relay's address cannot be used: "+sentence(e.RelayError), "No mail leaves.", "mend POSTERN_SMTP_URL and start again")
	case e.Relay == nil:
		e.outbox()
	default:
		e.relay(ctx)
	}
	if e.Fetcher != nil {
		status := e.Fetcher.Status()
		if status.Err != nil && !status.Connected {
			e.add(Warn, "Mail is not being fetched: "+sentence(status.Err), "Reports wait in the mailbox.", "check POSTERN_IMAP_URL")
		} else {
			e.ok("Mail is fetched from %s.", e.Fetcher)
		}
	}
}

func (e *exam) outbox() {
	if e.Outbox == nil {
		return
	}
	kept, err := e.Outbox.List(1000)
	if err != nil {
		e.add(Fail, "The outbox cannot be read: "+sentence(err), "No mail can be kept.", "check the rights of the folder outbox in POSTERN_DATA")
		return
	}
	e.add(Warn, fmt.Sprintf("No mail relay is set: mail is kept in the outbox, %s so far.", plural(len(kept), "message", "messages")),
		"Nobody outside this machine gets notices, announcements or alerts.", "set POSTERN_SMTP_URL, as smtp://user:password@mail.example:587")
}

func (e *exam) relay(ctx context.Context) {
	facts, err := e.Relay.Check(ctx)
	if err != nil {
		e.add(Fail, "The mail relay does not take us: "+sentence(err), "Notices, announcements and alerts do not leave.", "check POSTERN_SMTP_URL and the relay's log")
		return
	}
	e.relayFacts(facts)
}

func (e *exam) relayFacts(facts smtp.Facts) {
	switch {
	case facts.TLS && facts.Authenticated:
		e.ok("The mail relay %s takes us, with %s and a login.", facts.Server, facts.TLSVersion)
	case facts.TLS:
		e.ok("The mail relay %s takes us, with %s.", facts.Server, facts.TLSVersion)
	default:
		e.ok("The mail relay %s takes us, on this machine and so without TLS.", facts.Server)
	}
	if facts.MaxBytes > 0 && facts.MaxBytes < 10<<20 {
		e.add(Warn, fmt.Sprintf("The mail relay takes mails of at most %d KiB.", facts.MaxBytes>>10), "A notice with large patches does not fit.", "raise the relay's message size limit")
	}
}

func (e *exam) addresses() {
	for _, a := range []struct{ name, variable, url string }{{"gate", "POSTERN_GATE_URL", e.GateURL}, {"desk", "POSTERN_DESK_URL", e.DeskURL}} {
		u, err := url.Parse(a.url)
		switch {
		case a.url == "":
		case err != nil || u.Host == "":
			e.add(Fail, fmt.Sprintf("The %s's address %q cannot be used.", a.name, a.url), "Links in mails and pages lead nowhere.", "set "+a.variable)
		case loopback(u.Hostname()):
			e.add(Warn, fmt.Sprintf("The %s's address %s is of this machine alone.", a.name, a.url), "Links in mails and pages lead nowhere from anywhere else.",
				"put a proxy with TLS in front and set "+a.variable)
		case u.Scheme != "https":
			e.add(Fail, fmt.Sprintf("The %s's address %s is without TLS.", a.name, a.url), "Passwords and reports can be read on their way.", "put a proxy with TLS in front and set "+a.variable)
		}
	}
}

func loopback(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// Free disk below which something is said.
const (
	lowBytes  = 2 << 30
	noneBytes = 200 << 20
)

func (e *exam) disk() {
	if e.Data == "" {
		return
	}
	var s syscall.Statfs_t
	if err := syscall.Statfs(e.Data, &s); err != nil {
		e.add(Fail, "The data folder cannot be looked at: "+sentence(err), "Reports that are being sent, and mail, are kept there for a while.", "check POSTERN_DATA")
		return
	}
	if info, err := os.Stat(e.Data); err == nil && info.Mode().Perm()&0o077 != 0 && !info.IsDir() {
		e.add(Fail, "POSTERN_DATA is not a folder.", "Nothing can be kept there.", "set POSTERN_DATA")
		return
	}
	free := int64(s.Bavail) * int64(s.Bsize) //nolint:unconvert // the types differ between systems
	text := fmt.Sprintf("%.1f GiB are free for %s.", float64(free)/(1<<30), e.Data)
	const why = "Without room no report can be taken; who sends one is told so."
	const mend = "make room, or move POSTERN_DATA"
	switch {
	case free < noneBytes:
		e.add(Fail, text, why, mend)
	case free < lowBytes:
		e.add(Warn, text, why, mend)
	default:
		e.ok("%s", text)
	}
}
