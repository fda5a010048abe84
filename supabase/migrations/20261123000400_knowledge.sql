-- Knowledge: the documents of the tenants, cut into chunks, with the postings and the graph that find them.
--
-- Every row below a document is that document's contribution and goes with it, so the index after adding and
-- deleting a document equals the index before. Nothing derived is stored that could go stale: how many chunks hold
-- a term, or share a name, is counted when it is asked.
--
-- Writes: store/knowledge (rag.index).
-- Reads:  store/retrieval (rag.query), and every read names its tenant.

-- A named set of documents. Its row is locked while it is written, so two writers of one collection take turns.
create table knowledge_collections (
  id         bigint generated always as identity primary key,
  tenant     text not null references tenants (id),
  name       text not null check (name ~* '^[a-z0-9][a-z0-9._-]{0,99}$'),
  documents  integer not null default 0 check (documents >= 0),  -- sums of the contributions below: N and the
  chunks     integer not null default 0 check (chunks >= 0),     -- mean length for BM25 without a scan
  terms      bigint not null default 0 check (terms >= 0),
  created_at timestamptz not null default bus_now(),

  unique (tenant, name),                               -- "the collection of that name", "all collections of a tenant"
  unique (tenant, id)
);

-- A document as it was handed in. Places in its text are UTF-16 units, as JavaScript counts.
create table knowledge_documents (
  id            bigint generated always as identity primary key,
  tenant        text not null,
  collection_id bigint not null,
  document_id   text not null check (length(document_id) between 1 and 500),  -- the caller's own id
  title         text not null,
  format        text not null check (format in ('markdown', 'text')),
  text          text not null,
  hash          text not null,                         -- of recipe, title, format and text: the same is not read again
  chunks        integer not null check (chunks >= 0),  -- what it adds to its collection
  terms         bigint not null check (terms >= 0),
  indexed_at    timestamptz not null default bus_now(),

  unique (tenant, collection_id, document_id),         -- "the document of that id"; adding it again replaces it
  unique (tenant, id),
  foreign key (tenant, collection_id) references knowledge_collections (tenant, id)
);

-- A piece of a document that is found and cited. It is never changed, only replaced with its document.
create table knowledge_chunks (
  id            bigint generated always as identity primary key,
  tenant        text not null,
  collection_id bigint not null,
  document      bigint not null,
  ordinal       integer not null check (ordinal >= 0), -- in its document
  section       text not null,                         -- the heading path; empty before the first heading
  span_from     integer not null check (span_from >= 0),
  span_to       integer not null check (span_to >= span_from),
  text          text not null,                         -- exactly those characters of the document
  length        integer not null check (length >= 0),  -- terms

  unique (tenant, document, ordinal),                  -- "the chunks of a document"
  unique (tenant, id),                                 -- what the rows below refer to: never another tenant's chunk
  foreign key (tenant, document) references knowledge_documents (tenant, id) on delete cascade
);

-- Which chunk holds which term, and how often. `length` is the chunk's, so that ranking needs no second look-up.
create table knowledge_postings (
  tenant        text not null,
  term          text not null,
  collection_id bigint not null,
  chunk_id      bigint not null,
  tf            integer not null check (tf > 0),
  length        integer not null check (length > 0),

  -- "The chunks with one of these terms", answered from the index alone.
  primary key (tenant, term, collection_id, chunk_id) include (tf, length),
  foreign key (tenant, chunk_id) references knowledge_chunks (tenant, id) on delete cascade
);

-- "The rows a chunk takes with it", and "the weight of these chunks for those terms".
create index knowledge_postings_chunk on knowledge_postings (chunk_id);

-- The names by which a chunk can be called: titles, headings, symbols, file names. One side of the graph.
create table knowledge_aliases (
  tenant        text not null,
  name          text not null,                         -- folded words with single spaces
  collection_id bigint not null,
  chunk_id      bigint not null,
  strength      real not null check (strength > 0 and strength <= 1),

  -- "The chunks that go by one of these names."
  primary key (tenant, name, collection_id, chunk_id) include (strength),
  foreign key (tenant, chunk_id) references knowledge_chunks (tenant, id) on delete cascade
);

-- "The rows a chunk takes with it."
create index knowledge_aliases_chunk on knowledge_aliases (chunk_id);

-- The names that a chunk mentions. The other side of the graph.
create table knowledge_mentions (
  tenant        text not null,
  name          text not null,
  collection_id bigint not null,
  chunk_id      bigint not null,

  -- "The chunks that mention one of these names."
  primary key (tenant, name, collection_id, chunk_id),
  foreign key (tenant, chunk_id) references knowledge_chunks (tenant, id) on delete cascade
);

-- "The rows a chunk takes with it."
create index knowledge_mentions_chunk on knowledge_mentions (chunk_id);

-- Deny by default: no policy is written, so nobody but the service role may read or write.
alter table knowledge_collections enable row level security;
alter table knowledge_documents enable row level security;
alter table knowledge_chunks enable row level security;
alter table knowledge_postings enable row level security;
alter table knowledge_aliases enable row level security;
alter table knowledge_mentions enable row level security;
