import { fromMarkdown } from "mdast-util-from-markdown";
import { gfmFromMarkdown } from "mdast-util-gfm";
import { gfm } from "micromark-extension-gfm";

/** A piece that is not torn apart unless it is too long: a paragraph, a list item, a code block, a table. */
export type Block = {
  from: number; // [from, to) in the document, UTF-16 units
  to: number;
  plain: string; // its words without markup; inline code keeps its backticks
};

/** The blocks under one heading; `path` leads to it from the top, empty before the first heading. */
export type Section = { path: string[]; blocks: Block[] };

/** `title` is what the document calls itself; null: nothing. */
export type Outline = { title: string | null; sections: Section[] };

/** What is used of a node of the syntax tree (mdast). */
type Node = {
  type: string;
  value?: string;
  alt?: string | null | undefined;
  url?: string;
  depth?: number;
  children?: Node[];
  position?: { start: { offset?: number | undefined }; end: { offset?: number | undefined } } | undefined;
};

/** Reads Markdown (CommonMark and GFM) into its sections. Headings written in HTML give a title, but no section. */
export function outlineOf(text: string): Outline {
  const front = /^---\r?\n([\s\S]*?)\r?\n---[ \t]*(?:\r?\n|$)/.exec(text)?.[0] ?? "";
  const body = front.replace(/[^\n]/g, " ") + text.slice(front.length); // the same places, without front matter
  const root: Node = fromMarkdown(body, { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] });
  const nodes = root.children ?? [];

  const sections: Section[] = [{ path: [], blocks: [] }];
  let open: { depth: number; name: string }[] = [];
  for (const [index, node] of nodes.entries()) {
    if (node.type === "heading") {
      const { depth = 1 } = node;
      open = [...open.filter((above) => above.depth < depth), { depth, name: headingOf(node) }];
      sections.push({ path: open.map(({ name }) => name).filter((name) => name !== ""), blocks: [] });
    } else if (!isContents(node) && !(isLabel(node) && isContents(nodes[index + 1]))) {
      sections.at(-1)?.blocks.push(...blocksOf(node));
    }
  }
  return { title: titleIn(front, nodes), sections: sections.filter(({ blocks }) => blocks.length > 0) };
}

/** Front matter, else the first heading of depth 1, else the heading the document opens with, else an HTML one. */
function titleIn(front: string, nodes: Node[]): string | null {
  const [, named] = /^title:[ \t]*["']?(.+?)["']?[ \t]*$/m.exec(front) ?? [];
  const top = nodes.find(({ type, depth }) => type === "heading" && depth === 1);
  const opening = nodes.find(({ type }) => type !== "html");
  const html = nodes.map(({ type, value }) => (type === "html" ? /<h1[^>]*>([^<]+)<\/h1>/i.exec(value ?? "") : null));
  const title =
    named ??
    (top && headingOf(top)) ??
    (opening?.type === "heading" ? headingOf(opening) : undefined) ??
    html.find((found) => found !== null)?.[1];
  return title?.trim() || null;
}

function headingOf(node: Node): string {
  return plainOf(node).replaceAll("`", "").replace(/\s+/g, " ").trim();
}

function blocksOf(node: Node): Block[] {
  if (node.type === "list") return (node.children ?? []).flatMap(blocksOf);
  const [from, to] = [node.position?.start.offset, node.position?.end.offset];
  const plain = plainOf(node).trim();
  return from === undefined || to === undefined || plain === "" ? [] : [{ from, to, plain }];
}

/** A table of contents: every item is nothing but a link into its own document, or a list of such. */
function isContents(node: Node | undefined): boolean {
  if (!node) return false;
  const { type, url, children = [] } = node;
  if (type === "link") return url?.startsWith("#") ?? false;
  return ["list", "listItem", "paragraph"].includes(type) && children.length > 0 && children.every(isContents);
}

/** The line above such a table: "Table of contents". */
function isLabel(node: Node): boolean {
  return node.type === "paragraph" && plainOf(node).length <= 40;
}

const inline = new Set(["paragraph", "heading", "emphasis", "strong", "delete", "link", "linkReference", "tableCell"]);

function plainOf({ type, value = "", alt, children = [] }: Node): string {
  if (type === "html" || type === "definition") return "";
  if (type === "inlineCode") return `\`${value}\``;
  if (type === "image" || type === "imageReference") return alt ?? "";
  if (type === "break") return "\n";
  return children.length === 0 ? value : children.map(plainOf).join(inline.has(type) ? "" : "\n");
}
