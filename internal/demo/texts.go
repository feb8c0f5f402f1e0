package demo

import (
	"bytes"

	"postern/internal/disclosure"
)

// reports is what the sample's reporters write.
var reports = map[string]disclosure.ReportJSON{
	"session": {Title: "Sessions stay valid after a password change", Name: "Mina Okafor", Credit: disclosure.CreditYes, CreditText: "Mina Okafor (Tideline Labs)",
		Description: "When a user changes the password, every session opened before goes on working.\n\nSteps:\n\n1. Sign in from two browsers.\n2. Change the password in the first.\n3. Reload the second: it is still signed in, a day later too.\n\nWhoever stole a session cookie cannot be shut out by changing the password.",
		Versions:    "5.1.2, 4.2.16", Impact: "A stolen session survives the one thing users do about it.",
		Files: []disclosure.FileJSON{{Name: "two-browsers.py", Type: "text/x-python", Data: []byte("import lantern.test\n\na, b = lantern.test.Browser(), lantern.test.Browser()\na.sign_in('robin', 'old'); b.sign_in('robin', 'old')\na.change_password('old', 'new')\nassert b.get('/account').status == 302, 'still signed in'\n")}}},
	"path": {Title: "Static files: an encoded slash leaves the folder", Name: "J. Sandoval", Credit: disclosure.CreditYes, CreditText: "J. Sandoval",
		Description: "`GET /static/..%2f..%2fsettings.toml` answers with the settings file. The folder check happens before the path is decoded a second time.",
		Versions:    "5.1.2, main"},
	"slow": {Title: "A short template takes minutes", Name: "Perla", Credit: disclosure.CreditNo,
		Description: "Forty nested `{% if %}` blocks in one line keep a worker busy for minutes. The expression that finds the closing tag backtracks."},
	"scanner": {Title: "Vulnerability found!!", Description: "Our scanner says your website has a missing header. Severity: 9.8. Please tell us where to send the invoice.", Name: "BestScan Team"},
	"debug":   {Title: "The error page shows settings", Name: "Iven", Description: "With DEBUG = true the error page shows all settings, passwords left out but host names included."},
	"again":   {Title: "Old sessions work after changing my password", Description: "I changed my password and my old laptop is still signed in. Is this intended?"},
	"header": {Title: "Response splitting through redirect()", Name: "Katla Reyes", Address: "katla@reyes.example",
		Description: "redirect() copies its target into the Location header as it is. A target with %0d%0a after decoding ends the header, and the attacker writes the rest of the answer, cookies included.\n\nThe attached test shows a cookie set for every visitor of a link."},
	"upload": {Title: "An upload can replace a template", Name: "Ondine", Credit: disclosure.CreditYes, CreditText: "Ondine of Breakwater",
		Description: "The name of an uploaded file is kept. A file called `../templates/base.html` is written over the project's own template when the media folder lies beside it.", Versions: "5.1.4"},
	"query": {Title: "order_by() takes a column name from the request unquoted", Name: "Tomás Lindqvist", Credit: disclosure.CreditYes, CreditText: "Tomás Lindqvist",
		Description: "`?sort=id)--` reaches the database as it is. With stacked queries off this still reads any column by comparing."},
	"cache": {Title: "The page cache ignores the session for error pages", Description: "An error page rendered for a signed-in user is served to everybody for ten minutes. It holds the user's name and address.", Name: "Sable"},
	"zone":  {Title: "A crafted time zone name reads a file", Description: "`TIME_ZONE=../../../etc/hostname` from a user's profile is opened as a zone file; the error message quotes its first line.", Name: "Wim"},
	"mirror": {Title: "Package mirror: an upload token in a public log", Name: "Anonymous",
		Description: "The build log of last Tuesday shows the mirror's upload token in line 2,114. I have not used it. Please change it before you answer me."},
	"overdue": {Title: "CSRF token accepted from another site's form", Description: "The token is compared without the host it was made for. A token of my own account is accepted in anybody's form.", Name: "Hollis"},
	"soon":    {Title: "Denial of service in the multipart parser", Description: "A boundary of 70 dashes and a body of dashes keeps a worker at full load for as long as I send.", Name: "Bram"},
	"damaged": {Title: "Signature check skipped", Name: "Quill", Address: "quill@example.org", Description: "Details are in the attached text. Please confirm that you can read this."},
	"new": {Title: "Password reset links can be guessed", Name: "Esme Duarte", Credit: disclosure.CreditYes, CreditText: "Esme Duarte",
		Description: "The reset token is made from the user's id and the hour. With both known I made a link for my own second account at the third try.", Versions: "5.1.5, 4.2.17"},
	"newest": {Description: "hello, i think i found something in your login page but i do not know if it is serious. when i type a very long name the page shows a python error with file names. is this the right place to ask?"},
}

// What the public reads, or will.
var (
	sessionText = disclosure.Text{
		Title: "Sessions stay valid after a password change", Summary: "Changing a password did not end sessions that were open before.",
		Description: "Lantern kept every session of a user valid when the user's password was changed or the account disabled. Somebody who had obtained a session cookie could go on using it.",
		Impact:      "A stolen session cannot be ended by its owner.",
		Remedy:      "Upgrade to Lantern 5.1.3 or 4.2.17. After upgrading, all sessions opened before a user's last password change end.",
		Workaround:  "Empty the session table after a password change: `lantern sessions --delete-user NAME`.",
		References:  []string{"https://lantern.example/docs/sessions"},
	}
	pathText = disclosure.Text{
		Title: "Encoded slashes escape the static folder", Summary: "A request with encoded slashes could read files outside the folder of static files.",
		Description: "The static file handler checked a path before decoding it a second time. A request for `/static/..%2f…` could read any file the server process can read.",
		Impact:      "Disclosure of files, among them settings with secrets.",
		Remedy:      "Upgrade to Lantern 5.1.3 or 4.2.17, and change secrets that were kept in files the server could read.",
		Workaround:  "Let the web server in front serve static files.",
	}
	slowText = disclosure.Text{
		Title: "Templates with nested blocks take very long", Summary: "A crafted template keeps a worker busy.",
		Description: "Finding the end of a block backtracks. Whoever may write templates can keep a worker busy for minutes.",
		Remedy:      "Upgrade once a release is out.",
	}
	headerText = disclosure.Text{
		Title: "Response splitting through redirects", Summary: "A redirect target with line ends could add headers to an answer.",
		Description: "`redirect()` wrote its target into the Location header unchecked. Applications that redirect to an address from the request let an attacker set cookies for visitors and replace pages.",
		Impact:      "Session fixation and defacement by a link.",
		Remedy:      "Upgrade to Lantern 5.1.5 or 4.2.18.",
		Workaround:  "Check redirect targets with `lantern.urls.is_local()`.",
	}
	uploadText = disclosure.Text{
		Title: "Uploads can replace templates", Summary: "The name of an uploaded file was used as a path.",
		Description: "An uploaded file's name was joined to the media folder without being cleaned. A crafted name could replace templates, which are run.",
		Impact:      "Running code as the server, where uploads are open to strangers.",
		Remedy:      "Upgrade to Lantern 5.1.5 or 4.2.18.",
	}
	queryText = disclosure.Text{
		Title: "Column names in order_by() are not quoted", Summary: "SQL injection where a sort column is taken from the request.",
		Description: "`order_by()` passed column names on unquoted. Applications that take them from the request are open to SQL injection.",
		Remedy:      "Upgrade to Lantern 5.1.6 or 4.2.19.",
	}
	cacheText = disclosure.Text{
		Title: "Error pages of one user are served to others", Summary: "The page cache did not look at the session for error pages.",
		Description: "An error page made for a signed-in user was kept in the shared cache.",
		Remedy:      "Upgrade once a release is out.",
	}
)

// patch is one of a sample release.
type patch struct{ of, series, name, text string }

func gitPatch(subject, file, context, before, after string) string {
	return "From 4f1c2d7be09a6b1d5c0f7a3e8d92b46c1a7e5f30 Mon Sep 17 00:00:00 2001\n" +
		"From: Ravi <ravi@lantern.example>\nDate: Mon, 5 Jan 2026 10:00:00 +0000\nSubject: [PATCH] " + subject + "\n\n---\n " +
		file + " | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)\n\n" +
		"diff --git a/" + file + " b/" + file + "\n--- a/" + file + "\n+++ b/" + file + "\n@@ -1,2 +1,2 @@\n " +
		context + "\n-" + before + "\n+" + after + "\n-- \n2.47.3\n\n"
}

var (
	sessionPatch = gitPatch("End sessions with the password", "lantern/sessions.py", "def live(session):", "    return session.open", "    return session.open and session.began > session.user.password_changed")
	pathPatch    = gitPatch("Refuse paths outside the folder", "lantern/static.py", "def inside(folder, path):", "    return path.startswith(folder)", "    return real(unquote(path)).is_relative_to(real(folder))")
	headerPatch  = gitPatch("Refuse line ends in headers", "lantern/http.py", "def header(name, value):", "    return name + ': ' + value", "    return name + ': ' + refuse(value, '\\r\\n\\0')")
	uploadPatch  = gitPatch("Name uploads ourselves", "lantern/uploads.py", "def target(upload):", "    return join(MEDIA, upload.name)", "    return join(MEDIA, token() + suffix(upload.name))")
	queryPatch   = gitPatch("Quote column names", "lantern/query.py", "def order_by(column):", "    return 'ORDER BY ' + column", "    return 'ORDER BY ' + quote(column)")
)

// bend alters one letter in the middle of an armored message and leaves out
// the checksum, as a broken mail program might: the key packets stand, the
// body does not open.
func bend(armored []byte) []byte {
	lines := bytes.Split(armored, []byte("\n"))
	var out [][]byte
	for i, l := range lines {
		if bytes.HasPrefix(l, []byte("=")) {
			continue
		}
		if i == len(lines)*2/3 && len(l) > 10 {
			l = bytes.Clone(l)
			if l[5] != 'A' {
				l[5] = 'A'
			} else {
				l[5] = 'B'
			}
		}
		out = append(out, l)
	}
	return bytes.Join(out, []byte("\n"))
}

// application is what a packager wrote into the gate's form.
var application = map[string]string{
	"name": "Noor Haddad", "organization": "Drift Packages", "role": "Maintainer of the web stack", "address": "noor@drift.example",
	"group":        "Maintainer of a package",
	"criterion":    "We have packaged Lantern for the Drift distribution since 4.2: about 9,000 installations update from our mirror, and we backport fixes to two branches.",
	"why":          "Our builds and signatures take a day and a half. With a week of notice our users get the fix on the day of the release and not two days later.",
	"list_address": "security@drift.example", "reviewers": "Three people: two maintainers of the web stack and our release manager.",
	"automated": "Nothing. The address is no ticket system, and the archive is encrypted.",
	"key_id":    "7C41 0D9E 55AF 2B18 90C3  64D2 1E7F A8B0 3395 D6C4",
}
