package publish

import (
	"strings"
	"testing"
)

func TestMarkdown(t *testing.T) {
	for _, tt := range []struct{ name, in, has, not string }{
		{"paragraph", "Two *words*.", "<p>Two <em>words</em>.</p>", ""},
		{"headings begin at h3", "# Top\n\n###### Deep", "<h3>Top</h3>", "<h1"},
		{"deep headings end at h6", "###### Deep", "<h6>Deep</h6>", "<h8"},
		{"raw HTML is left out", "<script>alert(1)</script>\n\nx", "<p>x</p>", "script"},
		{"inline handlers are left out", `<a href="https://x.example" onclick="a()">x</a>`, "x", "onclick"},
		{"images are not fetched", "![x](https://evil.example/p.png)", "", "<img"},
		{"script links lead nowhere", "[x](javascript:alert(1))", "x", "javascript"},
		{"data links lead nowhere", "[x](data:text/html,hi)", "x", "data:"},
		{"links keep no referrer", "[x](https://ok.example/)", "noreferrer", ""},
		{"code stays code", "`<b>`", "<code>&lt;b&gt;</code>", "<b>"},
		{"svg is left out", `<svg onload=alert(1)>`, "", "svg"},
		{"style is left out", `<p style="position:fixed">x</p>`, "", "style"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Markdown(tt.in)
			if err != nil {
				t.Fatalf("Markdown(%q): %v", tt.in, err)
			}
			if !strings.Contains(string(got), tt.has) {
				t.Errorf("Markdown(%q) = %q, want it to contain %q", tt.in, got, tt.has)
			}
			if tt.not != "" && strings.Contains(string(got), tt.not) {
				t.Errorf("Markdown(%q) = %q, want it without %q", tt.in, got, tt.not)
			}
		})
	}
}
