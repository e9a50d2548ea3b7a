"""A server of the Model Context Protocol over standard input and output that has the tools."""

from mcp.server.mcpserver import MCPServer
from travel import TOOLS, exporting

server = MCPServer("travel")
for each in TOOLS.values():
    server.tool()(each)

with exporting():
    server.run("stdio")
