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
		{"raw HTML is shown as text", "<script>alert(1)</script>\n\nx", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>\n<p>x</p>", "<script"},
		{"so it is within a line", "Sum <script>", "<p>Sum &lt;script&gt;</p>", "<script"},
		{"and over lines, as they stand", "<div\n  onclick=x>\n*y*\n</div>", "<pre>&lt;div\n  onclick=x&gt;\n*y*\n&lt;/div&gt;</pre>", "<div"},
		{"a block to its end", "<!-- a\n\nb -->", "&lt;!-- a\n\nb --&gt;", "<!--"},
		{"handlers are shown", `An <a href="https://x.example" onclick="a()">x</a>`, `&lt;a href=&#34;https://x.example&#34; onclick=&#34;a()&#34;&gt;x&lt;/a&gt;`, "<a "},
		{"an image tag is shown", `It takes <img src=x onerror=alert(1)> as is.`, "It takes &lt;img src=x onerror=alert(1)&gt; as is.", "<img"},
		{"images are not fetched", "![x](https://evil.example/p.png)", "![x](https://evil.example/p.png)", "<img"},
		{"script links lead nowhere and are shown", "[x](javascript:alert(1))", "[x](javascript:alert(1))", "href"},
		{"data links lead nowhere", "[x](data:text/html,hi)", "[x](data:text/html,hi)", "href"},
		{"nor do ours", "[x](/mailbox)", "[x](/mailbox)", "href"},
		{"links keep no referrer", "[x](https://ok.example/)", "noreferrer", ""},
		{"code stays code", "`<b>`", "<code>&lt;b&gt;</code>", "<b>"},
		{"svg is shown", `<svg onload=alert(1)>`, "<p>&lt;svg onload=alert(1)&gt;</p>", "<svg"},
		{"style is shown", `<p style="position:fixed">x</p>`, "&lt;p style=", "<p style"},
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
