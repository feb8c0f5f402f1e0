package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"postern/internal/disclosure"
	"postern/internal/pgp"
)

type (
	does   = func(*player, context.Context) error
	onCase = func(c *disclosure.Case, by disclosure.Caller, now time.Time) error
)

// story is thirty days of the Lantern security team. It ends with a release
// out, one called off, one of which distributors know, one planned, one in
// draft, and an inbox with something of every kind.
func story() []step {
	return []step{
		// Released: two issues, told a week ahead, published at the hour.
		{0.1, "a report of a session that outlives its password arrives", typed("session")},
		{0.3, "it is acknowledged", acknowledge("session", "Tove", "Thank you. We could reproduce this within the hour and will write as soon as we know which versions are affected.")},
		{0.6, "a report of a path that escapes its folder arrives", typed("path")},
		{1.0, "it is acknowledged too", acknowledge("path", "Tove", "Thank you for the clear steps. We are looking at it.")},
		{1.4, "the reporter of the session adds something", add("session", "One more observation: the same happens after an administrator disables the account.")},
		{1.6, "the team talks about it", note("session", "Ravi", "Confirmed on 5.1.2 and 4.2.16. The session table is never looked at when a password changes.")},
		{2.0, "the session is accepted", accept("session", "Tove", "high", "CWE-613", "CVE-2026-10411", sessionText)},
		{2.2, "the path is accepted", accept("path", "Tove", "moderate", "CWE-22", "CVE-2026-10412", pathText)},
		{3.0, "a release gathers both", func(p *player, ctx context.Context) error {
			return p.gather(ctx, "public", "Lantern 5.1.3 and 4.2.17", "session", "path")
		}},
		{3.1, "it gets its hour", func(p *player, ctx context.Context) error {
			return p.plan(ctx, "public", 12, map[string]string{"5.1": "5.1.3", "4.2": "4.2.17"},
				patch{"session", "5.1", "5.1-0001-end-sessions-with-the-password.patch", sessionPatch},
				patch{"session", "4.2", "4.2-0001-end-sessions-with-the-password.patch", sessionPatch},
				patch{"path", "5.1", "5.1-0002-refuse-paths-outside-the-folder.patch", pathPatch},
				patch{"path", "4.2", "4.2-0002-refuse-paths-outside-the-folder.patch", pathPatch})
		}},
		{5.0, "those who are told ahead are told", func(p *player, ctx context.Context) error { return p.tell(ctx, "public") }},
		{5.4, "all distributors answer", func(p *player, ctx context.Context) error {
			return p.answer(ctx, "public", "Harbor Linux", "Quay Packages", "Skerry Hosting")
		}},
		{12, "the hour comes, and it is published", func(p *player, ctx context.Context) error {
			if err := p.goTo(ctx, p.hour(12)); err != nil {
				return err
			}
			return p.publish(ctx, "public")
		}},
		{12.8, "the reporters are thanked", reply("session", "Tove", "The fix is out and the advisory names you as you asked. Thank you for your patience.")},

		// Called off before anybody was told.
		{7.0, "a report of slow templates arrives", typed("slow")},
		{8.0, "the slow templates are acknowledged", acknowledge("slow", "Tove", "Thank you. We measure how far this goes.")},
		{9.0, "the slow templates are accepted", accept("slow", "Ada", "low", "CWE-1333", "", slowText)},
		{9.5, "a release is planned for them", func(p *player, ctx context.Context) error {
			if err := p.gather(ctx, "off", "Lantern 5.1.4, first attempt", "slow"); err != nil {
				return err
			}
			return p.plan(ctx, "off", 20, map[string]string{"5.1": "5.1.4", "4.2": "4.2.18"})
		}},
		{11.0, "it is called off", func(p *player, ctx context.Context) error {
			return p.update(ctx, "off", func(r *disclosure.Release, by disclosure.Caller, now time.Time) error {
				return r.CallOff("The fix breaks templates that are valid. It needs another approach.", by, now)
			})
		}},
		{11.1, "the team notes why", note("slow", "Ravi", "Called off: the new limit rejects two templates of our own documentation.")},

		// Closed, each for its own reason.
		{13.0, "the report of a scanner arrives", typed("scanner")},
		{13.5, "it is closed", closeAs("scanner", "Tove", disclosure.OutOfScope, "Scanner output without an explanation.", "Our policy asks for an explanation of what can be done with a finding. If you find one, please write again.")},
		{14.0, "a report about debug pages arrives", typed("debug")},
		{14.8, "the debug pages are acknowledged", acknowledge("debug", "Tove", "Thank you, we are looking at it.")},
		{16.0, "the debug pages are closed", closeAs("debug", "Tove", disclosure.NotVulnerability, "Documented; the setting is off by default.", "This is what the DEBUG setting is for; the documentation says never to turn it on in production.")},
		{13.2, "the session is reported again", typed("again")},
		{13.9, "it is closed as a duplicate", func(p *player, ctx context.Context) error {
			return p.change(ctx, "again", "Tove", func(c *disclosure.Case, by disclosure.Caller, now time.Time) error {
				return c.Close(disclosure.Duplicate, "The same as the one just published.", p.Sample.Case("session"), by, now)
			})
		}},

		// The release of which distributors know.
		{18.0, "an encrypted report arrives", encrypted("header")},
		{18.4, "the encrypted report is acknowledged", acknowledge("header", "Ada", "Thank you. We have opened your message and can reproduce it.")},
		{19.0, "it is accepted", accept("header", "Ada", "critical", "CWE-113", "CVE-2026-10533", headerText)},
		{19.5, "a report about uploads arrives", typed("upload")},
		{20.0, "the uploads are acknowledged", acknowledge("upload", "Tove", "Thank you, we see it too.")},
		{20.5, "the uploads are accepted", accept("upload", "Tove", "high", "CWE-434", "CVE-2026-10534", uploadText)},
		{21.0, "a release is planned for both", func(p *player, ctx context.Context) error {
			if err := p.gather(ctx, "told", "Lantern 5.1.5 and 4.2.18", "header", "upload"); err != nil {
				return err
			}
			return p.plan(ctx, "told", 35, map[string]string{"5.1": "5.1.5", "4.2": "4.2.18"},
				patch{"header", "5.1", "5.1-0001-refuse-line-ends-in-headers.patch", headerPatch},
				patch{"header", "4.2", "4.2-0001-refuse-line-ends-in-headers.patch", headerPatch},
				patch{"upload", "5.1", "5.1-0002-name-uploads-ourselves.patch", uploadPatch},
				patch{"upload", "4.2", "4.2-0002-name-uploads-ourselves.patch", uploadPatch})
		}},
		{28.0, "distributors are told", func(p *player, ctx context.Context) error { return p.tell(ctx, "told") }},
		{28.7, "two distributors answer", func(p *player, ctx context.Context) error {
			return p.answer(ctx, "told", "Harbor Linux", "Quay Packages")
		}},
		{29.0, "a patch goes to the reporter for a look", reply("header", "Ada", "The fix is ready. Does it hold against your test as well? Please keep it to yourself until the release.")},

		// The next one: planned, its notices in draft, frozen and approved.
		{22.0, "a report about queries arrives", typed("query")},
		{22.3, "the queries are acknowledged", acknowledge("query", "Tove", "Thank you, we are on it.")},
		{23.0, "the queries are accepted", accept("query", "Tove", "high", "CWE-89", "", queryText)},
		{24.0, "the next release is planned", func(p *player, ctx context.Context) error {
			if err := p.gather(ctx, "next", "Lantern 5.1.6", "query"); err != nil {
				return err
			}
			if err := p.plan(ctx, "next", 44, map[string]string{"5.1": "5.1.6", "4.2": "4.2.19"},
				patch{"query", "5.1", "5.1-0001-quote-column-names.patch", queryPatch},
				patch{"query", "4.2", "4.2-0001-quote-column-names.patch", queryPatch}); err != nil {
				return err
			}
			_, err := p.approve(ctx, "next", disclosure.ToAnnounceAhead)
			return err
		}},

		// One in draft, and what has just been accepted.
		{24.2, "a packager asks to be told in advance", apply},
		{24.5, "a report about the mirror's cache arrives", typed("cache")},
		{24.9, "the cache is acknowledged", acknowledge("cache", "Ada", "")},
		{25.5, "the cache is accepted", accept("cache", "Ada", "moderate", "CWE-524", "", cacheText)},
		{26.0, "a draft of a release gathers it", func(p *player, ctx context.Context) error {
			return p.gather(ctx, "draft", "Lantern 6.0 security fixes", "cache")
		}},

		// At work.
		{25.0, "a report about time zones arrives", typed("zone")},
		{25.3, "the time zones are acknowledged", acknowledge("zone", "Tove", "Thank you. Can you tell us which database you use?")},
		{25.8, "the reporter answers", add("zone", "PostgreSQL 17, with the driver's defaults.")},
		{27.0, "a report only a few may see arrives", typed("mirror")},
		{27.1, "it is restricted", func(p *player, ctx context.Context) error {
			return p.change(ctx, "mirror", "Ada", func(c *disclosure.Case, by disclosure.Caller, now time.Time) error {
				if err := c.Assign(by.Member, by.Name, by, now); err != nil {
					return err
				}
				if err := c.SetTrack(disclosure.Infrastructure, by, now); err != nil {
					return err
				}
				if err := c.Acknowledge(by, now); err != nil {
					return err
				}
				return c.Restrict([]disclosure.MemberID{by.Member}, by, now)
			})
		}},
		{26.5, "a report nobody has answered in time arrives", typed("overdue")},
		{28.5, "a report soon to be answered arrives", typed("soon")},
		{29.2, "a damaged message arrives", damaged("damaged")},
		{29.8, "a new report arrives", typed("new")},
		{29.9, "and one more", typed("newest")},
	}
}

// typed sends one of the sample reports as a program would.
// apply fills in the gate's form for those who ask to be told in advance.
func apply(p *player, ctx context.Context) error {
	form := url.Values{"key": {p.Sample.Passphrase + "-application"}}
	for field, text := range application {
		form.Set(field, text)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Gate+"/notifications/request", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := p.HTTP.Do(r)
	if err != nil {
		return fmt.Errorf("apply at the gate: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		return fmt.Errorf("the gate answered an application with %s", answer.Status)
	}
	return p.until(ctx, "the application to be opened", func() (bool, error) {
		n, err := p.DB.OpenApplications(ctx, system)
		return n > 0, err
	})
}

func typed(name string) does {
	return func(p *player, ctx context.Context) error {
		b, err := json.Marshal(reports[name])
		if err != nil {
			return err
		}
		return p.report(ctx, name, "application/json", b)
	}
}

// seal encrypts a sample report to the team's key and signs it by a key the
// reporter sends along in nothing: an unknown one.
func (p *player) seal(ctx context.Context, name string) ([]byte, error) {
	keys, err := p.DB.TeamKeys(ctx, system)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, errors.New("the demo has no team key")
	}
	certs, err := pgp.ParseCertificates(keys[0].Certificate)
	if err != nil {
		return nil, err
	}
	r := reports[name]
	reporter, _, err := pgp.NewTeam(r.Name, r.Address, p.DB.Now())
	if err != nil {
		return nil, err
	}
	m, err := pgp.Prepare([]byte(r.Title+"\n\n"+r.Description+"\n"), reporter, p.DB.Now())
	if err != nil {
		return nil, err
	}
	var b writer
	err = m.Encrypt(&b, certs, p.DB.Now())
	return b, err
}

type writer []byte

func (w *writer) Write(b []byte) (int, error) { *w = append(*w, b...); return len(b), nil }

func encrypted(name string) does {
	return func(p *player, ctx context.Context) error {
		b, err := p.seal(ctx, name)
		if err != nil {
			return err
		}
		return p.report(ctx, name, "application/pgp-encrypted", b)
	}
}

// damaged is a message whose body was altered on its way: it comes to us,
// cannot be opened, and needs a person.
func damaged(name string) does {
	return func(p *player, ctx context.Context) error {
		b, err := p.seal(ctx, name)
		if err != nil {
			return err
		}
		return p.report(ctx, name, "application/pgp-encrypted", bend(b))
	}
}

func steps(name, member string, f onCase) does {
	return func(p *player, ctx context.Context) error { return p.change(ctx, name, member, f) }
}

func acknowledge(name, member, answer string) does {
	return func(p *player, ctx context.Context) error {
		if answer == "" {
			member = "Ada"
		}
		err := p.change(ctx, name, member, func(c *disclosure.Case, by disclosure.Caller, now time.Time) error {
			if err := c.Acknowledge(by, now); err != nil {
				return err
			}
			return c.Assign(by.Member, by.Name, by, now)
		})
		if err != nil || answer == "" {
			return err
		}
		return p.reply(ctx, name, member, answer)
	}
}

func accept(name, member, level, class, cve string, text disclosure.Text) does {
	return steps(name, member, func(c *disclosure.Case, by disclosure.Caller, now time.Time) error {
		for _, err := range []error{
			c.Accept(by, now),
			c.SetSeverity(disclosure.Severity{Level: level, Reason: "As the team agreed."}, by, now),
			c.SetClass(class, by, now),
			c.SetCVE(cve, by, now),
			c.SetAffected([]disclosure.Affected{
				{Series: "main", Effect: disclosure.Affects},
				{Series: "5.1", Effect: disclosure.Affects, Versions: "all before this release"},
				{Series: "4.2", Effect: disclosure.Affects, Versions: "all before this release"},
				{Series: "3.2", Effect: disclosure.EffectUnknown},
			}, by, now),
			c.SetPublic(text, by, now),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func closeAs(name, member string, v disclosure.Verdict, noted, answer string) does {
	return func(p *player, ctx context.Context) error {
		if err := p.reply(ctx, name, member, answer); err != nil {
			return err
		}
		return p.change(ctx, name, member, func(c *disclosure.Case, by disclosure.Caller, now time.Time) error {
			return c.Close(v, noted, "", by, now)
		})
	}
}

func note(name, member, text string) does {
	return func(p *player, ctx context.Context) error { return p.note(ctx, name, member, text) }
}

func reply(name, member, text string) does {
	return func(p *player, ctx context.Context) error { return p.reply(ctx, name, member, text) }
}

func add(name, text string) does {
	return func(p *player, ctx context.Context) error { return p.add(ctx, name, text) }
}
